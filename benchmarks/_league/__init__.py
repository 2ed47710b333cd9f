"""The league table: every way to find small things by text, by what it stores."""
