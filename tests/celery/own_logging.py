"""An application that has set up its own logging before the worker starts, as applications do at import."""

import logging

logging.basicConfig(format="MINE %(name)s %(message)s", level=logging.INFO)
