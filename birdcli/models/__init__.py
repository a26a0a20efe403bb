"""Getting models onto this machine and proving that they answer correctly."""
