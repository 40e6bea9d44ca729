"""The tabs of the page. Each of them adds its components to the page."""
