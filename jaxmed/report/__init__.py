"""Tables and figures that set the paper beside our runs."""
