// Makes the page answer without a reload; everything works without it too.
