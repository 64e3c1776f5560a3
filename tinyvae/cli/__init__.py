"""What all commands have in common: their arguments, progress bars, errors and exit statuses.

The room knows the names of what may be chosen (settings.py) and the terminal; it must not know what a model is, nor
import it: ``--help`` is there at once.
"""
