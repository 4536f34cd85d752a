"""Torture: processes killed, disks that fail, files changed by others, at every moment of a write."""
