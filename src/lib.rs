//! Plumbline.
