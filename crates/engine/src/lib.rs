//! Typed tables, two rule shapes, recorded reads. Knows no domain.
