"""Arguments and results to plain JSON values and back, by the annotations of the task function."""

from taskbridge.codec.codec import Codec

__all__ = ["Codec"]
