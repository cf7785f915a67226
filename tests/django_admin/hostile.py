"""What must stay text on every page."""

HOSTILE = """<img src=x onerror="window.owned=true"><script>window.owned=true</script>'"&amp;{{ 7 }}{% now %}</td>"""
