//! Development only: golden runner, harnesses, fakes.
