"""The conformance suite: `pytest --pyargs taskbridge.testing.suite --backend URL`."""
