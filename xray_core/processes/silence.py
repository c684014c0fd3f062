"""Imported by the fork server alone, and last: whoever imports this says nothing more on standard error.

A fork server prints a traceback when a program that asks it for a process is stopped in mid-sentence. That is no news:
the program says itself that it was stopped.
"""

import os

_NULL = os.open(os.devnull, os.O_WRONLY)
os.dup2(_NULL, 2)
os.close(_NULL)
