"""Differentiate NumPy code that knows nothing of gradients: how far does a ball fly, and which angle is best?

python examples/numpy_code.py
"""

import numpy as np

import autograd_core as ag

GRAVITY, DRAG, STEP = 9.81, 0.02, 0.01


def distance(angle, speed):
    """How far a ball flies through air, in metres: plain NumPy, stepped until it lands."""
    position = np.array([0.0, 0.0])
    velocity = speed * np.stack([np.cos(angle), np.sin(angle)])
    while True:
        acceleration = -DRAG * np.linalg.norm(velocity) * velocity - np.array([0.0, GRAVITY])
        velocity = velocity + STEP * acceleration
        following = position + STEP * velocity
        if following[1] < 0:  # it lands within this step: go just as far as the ground
            part = position[1] / (position[1] - following[1])
            return position[0] + part * (following[0] - position[0])
        position = following


angle, speed = 0.8, 30.0
by_angle, by_speed = ag.grad(distance, argnums=(0, 1))(angle, speed)
print(f"at {np.degrees(angle):.2f} degrees it flies {distance(angle, speed):.3f} m")
print(f"  {by_angle:+.4f} m for each radian more, {by_speed:+.4f} m for each m/s more")

h = 1e-5
slope = (distance(angle + h, speed) - distance(angle - h, speed)) / (2 * h)
print(f"  by differences: {slope:+.4f} m for each radian")

for _ in range(20):  # uphill
    angle += 0.01 * ag.grad(distance)(angle, speed)
print(f"the best angle is {np.degrees(angle):.2f} degrees: {distance(angle, speed):.3f} m")
