//! The narrow rows that intake makes from objects.
