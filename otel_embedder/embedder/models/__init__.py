"""The models: their files, what converts and checks them, and what runs them."""
