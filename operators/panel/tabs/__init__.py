"""The panel's tabs, a file each."""
