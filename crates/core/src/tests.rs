//! Cases over the whole core.
