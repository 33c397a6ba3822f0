mod http;
fn main() {}

mod schema;
