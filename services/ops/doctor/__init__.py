"""`totes doctor`: look at an installation, say what was found and what to do."""
