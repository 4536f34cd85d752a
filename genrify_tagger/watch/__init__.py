"""The background service: waits until new and changed files have settled, then has them tagged."""
