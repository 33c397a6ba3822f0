fn main() {}

mod schema;
