"""Tests of the installed package: `pytest --pyargs xdpsar`."""
