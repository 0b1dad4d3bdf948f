"""One module per figure. Each has a ``FIGURE`` (`bench.figure.Figure`), and its name is the figure's."""
