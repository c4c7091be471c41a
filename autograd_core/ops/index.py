"""Indexing: reading and writing by slices, masks and integer arrays."""

from __future__ import annotations

__all__: list[str] = []
