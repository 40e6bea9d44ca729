"""Find the concepts of a class, and write a sheet, a page and tables of them."""
