"""The mathematics in pure NumPy. It checks nothing: the functions of `fnnet` check their arguments, then call it."""
