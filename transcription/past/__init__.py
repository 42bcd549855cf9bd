"""Past sessions as operators go about them: filters, saved views, and what is done to several at once."""
