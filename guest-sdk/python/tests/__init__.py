"""Unit tests in plain CPython: `python3 -m unittest`. The double of the host is put in place before
any of them runs; discovery has loaded the package by then, so its seam looks again.
"""

import importlib

from conche import _host

from . import double

double.install()
importlib.reload(_host)
