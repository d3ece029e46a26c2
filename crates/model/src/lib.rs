//! Vocabulary: names, input rows, intake, problems. No I/O.
