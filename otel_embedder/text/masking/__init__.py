"""What differs from span to span although it means the same: ids, addresses, times, literals."""
