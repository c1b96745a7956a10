"""Engines, one file each; `segue.engine` says what they are held to."""
