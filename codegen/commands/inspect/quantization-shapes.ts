/** Records of quantization that both the report page and inspect read. */
import type { Shape } from './record-shape.js';

const loss: Shape = { optional: { fields: { kld: 'number|null', lnRatio: 'number|null' } } };

const comparison: Shape = {
  fields: {
    ...{ plan: 'string', positions: 'number' },
    methods: { list: { fields: { method: 'string', kld: 'number' } } },
  },
};

/** report/quantization_summary.json: what was tried, and what became of every tensor. */
export const summaryShape: Shape = {
  fields: {
    model: { fields: { name: 'string', parameters: 'number' } },
    ...{ target: 'string', plan: 'string', method: 'string', bitsPerWeight: 'number' },
    maxLnRatio: 'number|null',
    searchedWith: { optional: comparison }, // summaries of earlier versions have none
    variants: {
      list: {
        fields: {
          ...{ name: 'string', method: 'string', bytes: 'number', bitsPerWeight: 'number' },
          ...{ predictedKld: 'number|null', float: loss, emitted: loss, chosen: 'boolean' },
          failedGates: { optional: { list: 'string' } }, // summaries of earlier versions have none
        },
      },
    },
    tensors: {
      list: {
        fields: {
          ...{ name: 'string', format: 'string', rows: 'number', columns: 'number', bytes: 'number' },
          ...{ bitsPerWeight: 'number', mse: 'number', mae: 'number', sqnrDb: 'number|null' },
          ...{ outputError: 'number|null', kldShare: 'number|null' },
        },
      },
    },
  },
};

/** report/acceptance.json: the gates of build --acceptance and eval --acceptance. */
export const acceptanceShape: Shape = {
  fields: {
    ...{ model: 'string', target: 'string', plan: 'string' },
    gates: { list: { fields: { name: 'string', passed: 'boolean|null', text: 'string' } } },
    accepted: 'boolean|null',
    advice: { optional: { list: 'string' } }, // acceptances of earlier versions have none
  },
};
