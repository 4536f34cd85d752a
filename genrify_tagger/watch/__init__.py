"""The background service: told of new and changed files, it waits till they have settled and has them tagged."""
