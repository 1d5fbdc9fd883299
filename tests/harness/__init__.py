"""What the tests of the rewriting share: the cases, a fast way to boot them, what is asked of them."""
