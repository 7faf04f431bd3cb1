"""Figures 3 and 4 need weights: sharpness along a training, and slices of the loss at its end."""
