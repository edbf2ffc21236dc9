"""One slide as one person sees it: from the folders, the issued results and the record."""
