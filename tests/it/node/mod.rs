//! The Node lane: the helper by itself, loaders that misbehave, and the shipped loaders.

mod helper;
mod home;
mod lane;
mod package;
