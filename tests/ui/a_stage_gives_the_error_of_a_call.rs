use twistor::defer::Deferred;

fn main() {
    let (text, _promise) = Deferred::<String>::pending();
    let _number = text.add_callback(|text| text.parse::<u32>());
}
