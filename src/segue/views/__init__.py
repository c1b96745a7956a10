"""Read-only folds over a journal."""
