"""The one room with Keras: networks, fitting, export, heat maps, foreign model files."""
