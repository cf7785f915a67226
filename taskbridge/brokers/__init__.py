"""What every adapter on the same broker needs alike: a client without hidden repeats, and what its errors mean."""
