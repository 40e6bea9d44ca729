"""The tabs of the page. Each of them is a function that adds its components to the page."""
