"""The product's own code against modelled servers, on simulated time."""
