"""lossd for Keras 3: see lossd.keras.losses."""
