"""What may be chosen about a text of words, and the choices that come with the package."""
