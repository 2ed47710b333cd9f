"""Names of what ``assets/panel.js`` adds to the App."""

DRAW_IN_IMAGE = "@detail/detail-embed/draw_in_image"  # takes ``fields``
