"""What the tests of the rewriting share: the cases, and a fast way to boot and ask them."""
