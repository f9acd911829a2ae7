//! Documents in and out: every rule of the JSON format, both modes, and laws between them.
