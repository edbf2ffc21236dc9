"""GNU Health lab on Tryton and SQLite, for a test that imports our files into it."""
