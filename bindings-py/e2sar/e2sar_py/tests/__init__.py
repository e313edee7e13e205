"""Tests of the whole surface, over loopback: `pytest --pyargs e2sar_py`."""
