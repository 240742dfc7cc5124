//! Related rows: what relations come to, form by form, over tables in memory.

mod forms;
mod order;
mod screens;
mod world;
